"""The public calls. They join rooms and hold no logic of their own. Imports no torch."""
