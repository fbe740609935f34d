"""What makes a run survive: the workflow, its steps, their journal, events, parking, workers."""
