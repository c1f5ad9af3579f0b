// Shows /openapi.json with Swagger UI. Requests go to the server that the page came from.
"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  filter: true,
  validatorUrl: null,
  requestInterceptor(request) {
    // The document names a usual address; here it is this one.
    const { pathname, search } = new URL(request.url, window.location.href);
    request.url = pathname + search;
    return request;
  },
});
