"""The verbs on runs: what a client can ask of the service, whatever protocol it speaks."""
