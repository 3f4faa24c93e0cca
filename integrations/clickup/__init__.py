"""The client of one ClickUp task and its subtasks."""

from integrations.clickup.client import ClickUp, Subtask, TaskGoneError

__all__ = ["ClickUp", "Subtask", "TaskGoneError"]
