// Makes an address of a form's fields: the content policy lets no form be sent.
"use strict";

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-filters]")) return;
  event.preventDefault();
  const asked = [...new FormData(event.target)].filter(([, value]) => value.trim() !== "");
  location.assign(`${location.pathname}?${new URLSearchParams(asked)}`);
});
