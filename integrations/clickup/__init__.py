"""The client of one ClickUp task and its subtasks."""

from integrations.clickup.client import ClickUp, Subtask, TaskGoneError
from integrations.clickup.fields import SubtaskFields

__all__ = ["ClickUp", "Subtask", "SubtaskFields", "TaskGoneError"]
