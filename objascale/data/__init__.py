"""Tables that ship with the renderer."""
