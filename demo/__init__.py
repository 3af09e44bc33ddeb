"""The demo: 300 readers who follow each other add 3,000 real pages through the API."""
