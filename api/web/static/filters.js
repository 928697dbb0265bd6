// Makes an address of a form's fields: the content policy lets no form be sent. What is typed outlives a renewal.
"use strict";

const typed = new Map();

document.addEventListener("input", (event) => {
  if (event.target.closest("form[data-filters]")) typed.set(event.target.id, event.target.value);
});

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-filters]")) return;
  event.preventDefault();
  const asked = [...new FormData(event.target)].filter(([, value]) => value.trim() !== "");
  location.assign(`${location.pathname}?${new URLSearchParams(asked)}`);
});

new MutationObserver(() => {
  for (const [id, value] of typed) {
    const field = document.getElementById(id);
    if (field && field.value !== value) field.value = value;
  }
}).observe(document.getElementById("content"), { childList: true });
