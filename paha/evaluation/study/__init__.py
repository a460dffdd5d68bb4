"""The user study of section 5.4 and Table 4: a self-contained folder, a server for it, a report of the answers."""
