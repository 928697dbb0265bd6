// Shows the API's own document with Swagger UI; requests that change something carry the proof of this browser's session.
"use strict";

window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#reference",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    requestInterceptor: (request) => {
      const proof = localStorage.getItem("session-proof");
      const ours = new URL(request.url, location.href).origin === location.origin;
      if (proof && ours && !request.headers.Authorization) request.headers["X-Session-Proof"] = proof;
      return request;
    },
  });
});
