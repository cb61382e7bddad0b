"""The event stream: what happens on the desk, and the charts that are watched, over one socket."""
