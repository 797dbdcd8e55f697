"""The one inner form of text to learn from: plain texts, and conversations in turns."""

from dataclasses import dataclass

ROLES = ("text", "system", "user", "assistant", "tool")  # by the number that stands beside each token; text is plain
SPEAKERS = ROLES[1:]
ALIASES = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
}  # what other formats call a role


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says. `trains` is False where the data themselves switch a turn off."""

    role: str  # one of SPEAKERS
    text: str
    trains: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """A plain text, or a conversation: `turns` is empty or `text` is."""

    row: int  # 0 is the first row of the data
    place: str  # for people: "line 3 of chat.jsonl"
    text: str = ""
    turns: tuple[Turn, ...] = ()
    tools: str = ""  # what the assistant may call, as JSON
    ended: bool = True  # whether the text ends where it does; False for a part of one that goes on

    def plainly(self) -> str:
        """All of it as one text: for hashes, audits and people."""
        if not self.turns:
            return self.text
        return "\n".join((*([self.tools] if self.tools else []), *(f"{turn.role}: {turn.text}" for turn in self.turns)))
