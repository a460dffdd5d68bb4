"""What videos are worth: metrics, the paper's tables, the user study."""
