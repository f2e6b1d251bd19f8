"""Looking at one prompt: its picture and what each of its words attends to, as a figure and as a page."""
