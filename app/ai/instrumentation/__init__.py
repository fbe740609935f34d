"""What runs tell OpenTelemetry: a span for each run, model request and tool call. Imported only where it is used."""
