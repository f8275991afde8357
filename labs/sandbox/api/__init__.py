"""The Kubernetes API that real kubectl talks to.

Without a socket (no aiohttp; used in process by the controllers and the control protocol):

- `kinds`       one entry a kind: names, scope, columns, defaults, validation, status
- `resources`   create, update, patch, delete over the store, with everything a real server does to an object
- `allocate`, `deletion`   Services' addresses and ports; finalizers, propagation, grace
- `apply`, `threeway`   `kubectl apply` in process
- `schema`      field tables: unknown fields, types, merge keys (`data/`, made by `tools/make_schemas.py`)
- `defaults/`, `validate/`, `columns`   what a kind's entry names
- `patch`, `ownership`, `fieldset`   JSON, merge and strategic patches; server-side apply
- `selectors`, `quantity`, `ages`   label and field selectors; quantities; times
- `status`, `hints`   refusals and warnings in Kubernetes' words

With a socket:

- `server`      authentication, limits, routing: `Api(store, controllers, runtime, token=…)`
- `requests`, `protobuf`   one request: path, options, body
- `reading`, `writing`, `reviews`   get and list; create, update, patch, delete; questions about rights
- `table`, `yamlout`   answers as kubectl prints them, and as YAML
- `watching`    watches with bookmarks
- `streams`     exec over WebSocket, logs
- `discovery`, `openapi`   what kubectl asks first
- `kubeconfig`  the file that points kubectl here
"""
