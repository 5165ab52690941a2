"""Rankers that a reviewer asks for, one small file each; ``table`` names them, ``choose`` picks on validation."""
