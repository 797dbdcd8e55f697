"""The autopilot on somebody's own training program: nothing but copies of its live objects is trained and changed."""
