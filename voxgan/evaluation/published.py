"""Published results, shown if the evaluated objects match those of the publication."""

from collections import Counter
from collections.abc import Sequence

from gancore.evaluation.published import PublishedTable
from voxgan.data.packed import PackedDataset

R2N2 = {
    "airplane": (810, 0.513, 0.549, 0.561),
    "bench": (364, 0.421, 0.502, 0.527),
    "cabinet": (315, 0.716, 0.763, 0.772),
    "car": (1501, 0.798, 0.829, 0.836),
    "chair": (1357, 0.466, 0.533, 0.550),
    "display": (220, 0.468, 0.545, 0.565),
    "lamp": (465, 0.381, 0.415, 0.421),
    "loudspeaker": (325, 0.662, 0.708, 0.717),
    "rifle": (475, 0.544, 0.593, 0.600),
    "sofa": (635, 0.628, 0.690, 0.706),
    "table": (1703, 0.513, 0.564, 0.580),
    "telephone": (211, 0.661, 0.732, 0.754),
    "watercraft": (389, 0.513, 0.596, 0.610),
}
"""By class: number of test objects, and the IoU of 3D-R2N2 from 1, 3 and 5 views."""

IKEA = ("bed", "bookcase", "chair", "desk", "sofa", "table")
IKEA_PRECISION = {
    "AlexNet-fc8": (0.295, 0.173, 0.204, 0.197, 0.388, 0.160, 0.236),
    "AlexNet-conv4": (0.382, 0.266, 0.314, 0.266, 0.693, 0.191, 0.352),
    "T-L network": (0.563, 0.302, 0.329, 0.258, 0.717, 0.233, 0.400),
    "3D-VAE-GAN, jointly trained": (0.491, 0.319, 0.426, 0.348, 0.798, 0.331, 0.452),
    "3D-VAE-GAN, separately trained": (0.632, 0.463, 0.472, 0.407, 0.788, 0.423, 0.531),
    "3D-VAE-IWGAN": (0.657, 0.442, 0.493, 0.506, 0.680, 0.522, 0.550),
}

MODELNET = {10: (908, 0.910), 40: (2468, 0.833)}
"""By number of classes: number of test objects, and the accuracy by 3D-GAN's discriminator."""


def published_reconstructions(packed: PackedDataset, tested: Sequence[int]) -> list[PublishedTable]:
    """Return tables of reconstruction results on objects like the tested ones."""
    labels = Counter(packed.objects[index].label for index in tested)
    found = []
    if packed.side == 32 and labels == {name: row[0] for name, row in R2N2.items()}:
        found.append(r2n2_table())
    if sorted(labels) == sorted(IKEA):
        note = (
            "Average precision on 20^3 voxels, best of all axis permutations, flips and shifts up to 10 % (Wu et al. "
            "2016, Smith and Meger 2017), on 1,039 crops of 759 photographs of the IKEA set: compare with ap_aligned, "
            f"and only if these {len(tested)} objects and their pictures are those."
        )
        found.append(PublishedTable(title="IKEA", columns=(*IKEA, "mean"), rows=IKEA_PRECISION, note=note))
    return found


def r2n2_table() -> PublishedTable:
    """Return the IoU of 3D-R2N2 by class, with the class mean, which is usually quoted, and the sample mean."""
    total = sum(row[0] for row in R2N2.values())
    rows = {}
    for place, views in enumerate((1, 3, 5), 1):
        by_class = [row[place] for row in R2N2.values()]
        sample = sum(row[0] * row[place] for row in R2N2.values()) / total
        rows[f"3D-R2N2, {views} view{'s' * (views > 1)}"] = [sum(by_class) / len(R2N2), sample, *by_class]
    return PublishedTable(
        title="ShapeNet, 13 classes",
        columns=("class mean", "sample mean", *R2N2),
        rows=rows,
        note=f"IoU at 32^3 and threshold 0.4 on the {total:,} test objects of Choy et al. 2016, from their own "
        "renderings; compare with @0.4.",
    )


def published_classifications(packed: PackedDataset, tested: Sequence[int]) -> list[PublishedTable]:
    """Return tables of classification by a discriminator's features on objects like the tested ones."""
    count, accuracy = MODELNET.get(len({packed.objects[index].label for index in tested}), (0, 0.0))
    if len(tested) != count:
        return []
    name = f"ModelNet{len({packed.objects[index].label for index in tested})}"
    note = (
        f"Wu et al. 2016 on the {count} test objects of {name}: 3D-GAN at 64^3, trained on seven classes of ShapeNet, "
        "a linear SVM on conv2, conv3 and conv4."
    )
    return [PublishedTable(title=name, columns=("accuracy",), rows={"3D-GAN": (accuracy,)}, note=note)]
