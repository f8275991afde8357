"""Labs on kind: real clusters through Docker, with Calico.

Map:

- `settings`   what the user chose: binary, images, where Calico comes from
- `pins`       the releases that are used unless the user chose others
- `endpoint`   where Docker is said to be, and why it does not answer there
- `preflight`  what clusters need of the machine, each with a verdict and a remedy; `checkup` looks at all of it
- `prepare`    everything that clusters need, fetched ahead; `archive`, `carry`: in one file, to another machine,
               by way of folders that `scratch` sweeps
- `images`     which images clusters need, and what they are called here
- `engine`     what is asked of the container engine (Protocol); `dockersdk` carries it over the `docker` SDK,
               `transfers` the images
- `binary`     the kind program: found, asked for its version, run with progress, ended with all it started
- `config`     a lab's topology to the file that kind reads, and to the key of the pool
- `calico/`    Calico's objects and how they come into a cluster
- `state`      what is kept on disk of each cluster, and the locks between processes; `labfolder`: of each lab
- `create`     a cluster from nothing, phase by phase
- `loading`    images into nodes; `phases`: progress with times
- `health`     whether a cluster works; `hasten`: pods that were made before Calico ran
- `fingerprint` a cluster's objects as they were when it was new; `emptiness`: its traffic then
- `reset`      back to that, and proof of it
- `hosts`      outside hosts as containers beside the nodes; `runner`: commands in both
- `pool`       running clusters and who has them
- `cluster`    the port to one: any Kubernetes API, and nodes that can be looked into; `port`: what it is made of
- `dataplane`  what carries traffic on its nodes; `readings` reads what they print
- `backend`    `labs.base.Backend` out of these
"""
