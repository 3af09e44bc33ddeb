"""What is measured; each function takes a system that runs, and answers the figures of a round."""
