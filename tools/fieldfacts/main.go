// Command fieldfacts prints what Kubernetes' OpenAPI does not say of its fields: protobuf numbers, and whether Go keeps
// a zero value. `tools/make_schemas.py` reads it. Run it in a module that requires k8s.io/api (Apache-2.0):
//
//	go mod init facts && go get k8s.io/api@v0.37.2 && go mod tidy && go run . > facts.json
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var seen = map[string]map[string][]any{}

func name(t reflect.Type) string {
	p := t.PkgPath()
	p = strings.TrimPrefix(p, "k8s.io/api/")
	p = strings.TrimPrefix(p, "k8s.io/apimachinery/pkg/apis/")
	p = strings.TrimPrefix(p, "k8s.io/apimachinery/pkg/")
	return strings.ReplaceAll(p, "/", ".") + "." + t.Name()
}

func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Ptr || t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	return t
}

func walk(t reflect.Type) {
	t = base(t)
	if t.Kind() != reflect.Struct || t.PkgPath() == "" || !strings.HasPrefix(t.PkgPath(), "k8s.io/") {
		return
	}
	n := name(t)
	if _, ok := seen[n]; ok {
		return
	}
	fields := map[string][]any{}
	seen[n] = fields
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		proto, tag := f.Tag.Get("protobuf"), f.Tag.Get("json")
		if !strings.Contains(proto, ",") || tag == "-" {
			if f.Anonymous {
				walk(f.Type)
			}
			continue
		}
		parts := strings.Split(tag, ",")
		jsonName := parts[0]
		p := strings.Split(proto, ",")
		flags := ""
		if f.Type.Kind() == reflect.Ptr {
			flags += "p"
		}
		if strings.Contains(tag, "omitempty") {
			flags += "o"
		}
		if strings.Contains(tag, "inline") || jsonName == "" {
			flags += "i"
			for _, q := range p {
				if strings.HasPrefix(q, "name=") {
					jsonName = strings.TrimPrefix(q, "name=")
				}
			}
		}
		fields[jsonName] = []any{p[1], flags, f.Type.String()}
		walk(f.Type)
	}
}

func main() {
	for _, v := range []any{corev1.Namespace{}, corev1.Pod{}, corev1.Service{}, corev1.ConfigMap{}, corev1.Secret{}, corev1.ServiceAccount{}, corev1.Node{},
		corev1.Endpoints{}, corev1.Event{}, corev1.Binding{}, appsv1.Deployment{}, appsv1.ReplicaSet{}, appsv1.StatefulSet{}, appsv1.DaemonSet{}, appsv1.ControllerRevision{},
		networkingv1.NetworkPolicy{}, networkingv1.Ingress{}, networkingv1.IngressClass{}, discoveryv1.EndpointSlice{}, autoscalingv1.Scale{}, policyv1.Eviction{},
		authorizationv1.SelfSubjectAccessReview{}, authorizationv1.SelfSubjectRulesReview{}, authenticationv1.SelfSubjectReview{}, metav1.DeleteOptions{}, metav1.Status{}} {
		walk(reflect.TypeOf(v))
	}
	json.NewEncoder(os.Stdout).Encode(seen)
}
