"""ComfyUI nodes: link this folder into ComfyUI/custom_nodes and `pip install` PAHA into ComfyUI's environment."""

from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
