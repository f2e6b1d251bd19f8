"""Methods behind one interface: queries in, masks or heat maps out."""
