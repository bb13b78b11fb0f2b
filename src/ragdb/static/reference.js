// Shows the description of this API. No address leads out of the service: the online validator, which would, is off.
SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#reference",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
});
