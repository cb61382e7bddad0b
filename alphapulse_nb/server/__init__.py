"""The web server: Voila with our pages, routes and template."""
