"""What a run does by itself when memory runs out, a number is not finite, or the loss leaps: each time bounded, and written down."""
