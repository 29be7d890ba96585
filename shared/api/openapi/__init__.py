"""The API's OpenAPI 3.1 document: FastAPI's own, completed with what that does not say.

`document` puts it together; `tags` and `problem_responses` say which groups and which problems there are; `consume`,
`platform` and `pages` describe what is served outside of FastAPI (`functions/http`), in the same document.
"""
