"""For the site of the documents: README is its first page, and what lies outside docs/ is named instead of linked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
FROM_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made from other documents: the first pages, and the list of decisions."""
    for name, source in FROM_ROOT.items():
        files.append(File.generated(config, name, content=_moved((ROOT / source).read_text(encoding="utf-8"))))
    lines = ["# Decisions", "", "Why it is built this way.", ""]
    for path in sorted((ROOT / "docs/decisions").glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        lines.append(f"* [{title}]({path.name})")
    files.append(File.generated(config, "decisions/index.md", content="\n".join(lines)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links to code become its name."""
    here = (ROOT / "docs" / page.file.src_uri).parent

    def told(link: re.Match[str]) -> str:
        text, target = link[1], link[2]
        if "://" in target or (here / target).resolve().is_relative_to(ROOT / "docs") or target in FROM_ROOT:
            return link[0]
        path = (here / target).resolve().relative_to(ROOT)
        return text if text.strip("`") == str(path) else f"{text} (`{path}`)"

    return LINK.sub(told, markdown)


def _moved(text: str) -> str:
    """A document of the repository's root, as if it lay in docs/."""

    def moved(link: re.Match[str]) -> str:
        target, anchor = link[2], link[3] or ""
        known = {source: name for name, source in FROM_ROOT.items()}
        if "://" in target:
            return link[0]
        if target.rstrip("/") == "docs/decisions":
            return f"[{link[1]}](decisions/index.md)"
        if target in known:
            return f"[{link[1]}]({known[target]}{anchor})"
        path = target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
        return f"[{link[1]}]({path}{anchor})"

    return LINK.sub(moved, text)
