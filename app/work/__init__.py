"""What outlives a tab: jobs, and the keepers that save what they deliver."""
