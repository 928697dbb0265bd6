// Copies what a button carries. The page's content is replaced while it is open, so the document listens.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const said = button.textContent;
  const say = (text) => {
    button.textContent = text;
    setTimeout(() => { button.textContent = said; }, 2000);
  };
  // Without HTTPS a browser lets only pages of its own machine write to the clipboard: then the text is selected instead.
  (navigator.clipboard?.writeText(button.dataset.copy) ?? Promise.reject(new Error("no clipboard"))).then(
    () => say("Copied"),
    () => {
      getSelection().selectAllChildren(document.getElementById("event-id"));
      say("Selected: copy it");
    },
  );
});
