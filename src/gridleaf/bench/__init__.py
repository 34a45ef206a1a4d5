"""Claims of speed that whoever installs gridleaf can repeat, with the peer beside them."""
