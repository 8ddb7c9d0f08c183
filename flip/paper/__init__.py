"""The paper's FLIP-S, FLIP-M and FLIP-L."""
