"""CustomObjectsApi, dynamic.DynamicClient and utils.create_from_yaml."""

import os
import tempfile

from kubernetes import client, dynamic, utils
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

from cluster import Case, map_of

GROUP = "py.demo.io"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"sites.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "sites", "kind": "Site", "shortNames": ["st"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["image"],
                                "properties": {
                                    "image": {"type": "string"},
                                    "replicas": {"type": "integer", "default": 1, "maximum": 10},
                                },
                            },
                            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}


def site(name, **spec):
    return {"apiVersion": f"{GROUP}/v1", "kind": "Site", "metadata": {"name": name}, "spec": {"image": "i", **spec}}


class Custom(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.objects = client.CustomObjectsApi()
        cls.dynamic = dynamic.DynamicClient(client.ApiClient())
        definitions = client.ApiextensionsV1Api()
        definitions.create_custom_resource_definition(DEFINITION)

        def established():
            conditions = definitions.read_custom_resource_definition(f"sites.{GROUP}").status.conditions
            return any(c.type == "Established" and c.status == "True" for c in conditions or [])

        cls().eventually("the kind is established", established)
        cls.at = (GROUP, "v1", cls.namespace, "sites")

    def test_custom_objects(self):
        made = self.objects.create_namespaced_custom_object(*self.at, site("home"))
        self.assertEqual((made["spec"]["replicas"], made["metadata"]["generation"]), (1, 1))
        with self.refused(422, "Invalid") as error:
            self.objects.create_namespaced_custom_object(*self.at, site("many", replicas=11))
        self.assertEqual(error.body["details"]["causes"][0]["field"], "spec.replicas")
        merge = {"_content_type": "application/merge-patch+json"}
        patched = self.objects.patch_namespaced_custom_object(*self.at, "home", {"spec": {"image": "j"}}, **merge)
        self.assertEqual((patched["spec"]["image"], patched["metadata"]["generation"]), ("j", 2))
        self.objects.patch_namespaced_custom_object_status(*self.at, "home", {"status": {"replicas": 1}}, **merge)
        scale = self.objects.patch_namespaced_custom_object_scale(
            *self.at, "home", {"spec": {"replicas": 4}}, **merge
        )
        self.assertEqual((scale["kind"], scale["spec"], scale["status"]["replicas"]), ("Scale", {"replicas": 4}, 1))
        listed = self.objects.list_namespaced_custom_object(*self.at, field_selector="metadata.name=home")
        self.assertEqual((listed["kind"], len(listed["items"])), ("SiteList", 1))
        read = self.objects.get_namespaced_custom_object(*self.at, "home")
        read["spec"]["image"] = "k"
        self.assertEqual(self.objects.replace_namespaced_custom_object(*self.at, "home", read)["spec"]["image"], "k")
        with self.refused(409, "Conflict"):
            self.objects.replace_namespaced_custom_object(*self.at, "home", read)
        self.assertEqual(self.objects.delete_namespaced_custom_object(*self.at, "home")["status"], "Success")
        with self.refused(404, "NotFound") as error:
            self.objects.get_namespaced_custom_object(*self.at, "home")
        self.assertEqual(error.body["message"], f'sites.{GROUP} "home" not found')

    def test_the_dynamic_client_finds_and_uses_kinds(self):
        sites = self.dynamic.resources.get(api_version=f"{GROUP}/v1", kind="Site")
        self.assertEqual((sites.name, sites.namespaced, sites.short_names), ("sites", True, ["st"]))
        self.assertIn("watch", sites.verbs)
        self.assertTrue(self.dynamic.resources.search(kind="Deployment", group="apps"))
        self.assertEqual(self.dynamic.version["kubernetes"]["minor"], "36")

        first = sites.create(body=site("dyn"), namespace=self.namespace)
        self.assertEqual(first.spec.image, "i")
        applied = sites.server_side_apply(
            body=site("dyn", replicas=2), namespace=self.namespace, field_manager="py", force_conflicts=True
        )
        self.assertEqual(applied.spec.replicas, 2)
        self.assertIn("Apply", [entry.operation for entry in applied.metadata.managedFields])
        with self.assertRaises(ConflictError):
            sites.server_side_apply(body=site("dyn", replicas=3), namespace=self.namespace, field_manager="other")
        patched = sites.patch(
            name="dyn",
            namespace=self.namespace,
            body={"metadata": {"labels": {"a": "b"}}},
            content_type="application/merge-patch+json",
        )
        self.assertEqual(patched.metadata.labels.a, "b")
        events = sites.watch(
            namespace=self.namespace, name="dyn", resource_version=first.metadata.resourceVersion, timeout=1
        )
        self.assertEqual([event["type"] for event in events], ["MODIFIED", "MODIFIED"])
        self.assertEqual(sites.get(namespace=self.namespace, label_selector="a=b").items[0].metadata.name, "dyn")
        sites.delete(name="dyn", namespace=self.namespace)
        with self.assertRaises(NotFoundError):
            sites.get(name="dyn", namespace=self.namespace)

        maps = self.dynamic.resources.get(api_version="v1", kind="ConfigMap")
        maps.create(body={"metadata": {"name": "dyn"}, "data": {"k": "v"}}, namespace=self.namespace)
        self.assertEqual(maps.get(name="dyn", namespace=self.namespace).data.k, "v")

    def test_files_are_created_and_applied(self):
        text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: from-yaml}
data: {k: v}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: from-yaml}
spec:
  selector: {matchLabels: {app: y}}
  template: {metadata: {labels: {app: y}}, spec: {containers: [{name: c, image: sim}]}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: from-yaml}, spec: {ports: [{port: 80}]}}
- {apiVersion: batch/v1, kind: CronJob, metadata: {name: from-yaml}, spec: {schedule: "@daily", jobTemplate:
    {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: sim}]}}}}}}
"""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "all.yaml")
            with open(path, "w") as file:
                file.write(text)
            api = client.ApiClient()
            made = utils.create_from_yaml(api, path, namespace=self.namespace)
            kinds = [item.kind for items in made for item in items]
            self.assertEqual(kinds, ["ConfigMap", "Deployment", "Service", "CronJob"])
            with self.assertRaises(utils.FailToCreateError) as failed:
                utils.create_from_yaml(api, path, namespace=self.namespace)
            reasons = [(error.status, error.reason) for error in failed.exception.api_exceptions]
            self.assertEqual(reasons, [(409, "Conflict")] * 4)
            applied = utils.create_from_yaml(api, path, namespace=self.namespace, apply=True)
            self.assertEqual(sum(len(items) for items in applied), 4)

    def test_a_custom_kind_takes_no_strategic_patch(self):
        self.objects.create_namespaced_custom_object(*self.at, site("plain"))
        with self.refused(415, "UnsupportedMediaType"):
            self.objects.patch_namespaced_custom_object(
                *self.at, "plain", {"spec": {}}, _content_type="application/strategic-merge-patch+json"
            )
        self.core.create_namespaced_config_map(self.namespace, map_of("owner"))
