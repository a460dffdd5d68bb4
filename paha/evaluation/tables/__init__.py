"""The paper's tables, measured again: `render` draws any table, the other modules measure them."""
