// Swagger UI was left out of this build.
"use strict";

window.SwaggerUIBundle = ({ url, dom_id: place }) => {
  const link = document.createElement("a");
  link.href = url;
  link.textContent = "This build has no Swagger UI; here is the document itself.";
  document.querySelector(place).replaceChildren(link);
};
