"""`python -m cases.keypoints`."""

import sys

from cases.keypoints.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
