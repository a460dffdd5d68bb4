"""UniVDM (section 4.1.1): the network, its conditioning and the loading of SVD's weights."""
