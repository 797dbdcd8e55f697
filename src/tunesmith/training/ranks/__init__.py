"""One training on several ranks: processes that divide the rows of each update and add up their gradients."""
