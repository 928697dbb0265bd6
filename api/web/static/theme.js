// Before anything is drawn: light or dark as chosen on this machine, else as the system has it.
"use strict";

const chosenTheme = localStorage.getItem("theme");
if (chosenTheme) document.documentElement.dataset.theme = chosenTheme;
