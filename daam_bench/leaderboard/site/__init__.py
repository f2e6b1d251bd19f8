"""The leaderboard as static pages, which open from a web server or from a disk."""
