"""A pretrained start: weights from elsewhere, what of them fits, what stays frozen and for how long, the dial of dropout."""
