"""The main job on real input: 300 readers who follow each other add 3,000 pages."""
