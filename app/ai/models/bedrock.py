"""Amazon Bedrock is not supported; this module says so to those who import its model from where it is published."""

raise ImportError(
    "Amazon Bedrock is not supported: it signs requests and frames streams in its own way. Ask its models through a "
    "gateway that speaks the API of OpenAI or Anthropic: OpenAIChatModel(name, provider=OpenAIProvider(base_url=...))."
)
