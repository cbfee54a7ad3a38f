"use strict";

// What is wider than a phone scrolls by itself; whoever has no mouse has to be able to get there.
document.addEventListener("DOMContentLoaded", () => {
  for (const wide of document.querySelectorAll("pre, .table-wrapper, .openapi table")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
});
