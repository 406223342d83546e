"""One Alembic history of plain SQL files."""
