"""/api/conversations: runs that share one message history."""

from fastapi import APIRouter

from app.api.dependencies import Service, Text
from app.api.problem_types import problems
from app.runs.records import Conversation

router = APIRouter(prefix="/api/conversations", tags=["conversations"])


@router.get("/{conversation_id}", responses=problems("unknown_conversation", "invalid_request"))
async def get_conversation(conversation_id: Text, service: Service) -> Conversation:
    """The runs of a conversation, oldest first, and the one that keeps it busy."""
    return await service.conversation(conversation_id)
