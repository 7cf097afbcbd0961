"""What a person sees and what the browser talks to."""
