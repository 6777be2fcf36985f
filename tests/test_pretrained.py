"""Networks that come trained, and files of weights that are broken or of another network."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import resnet18

from utils import data, pretrained
from utils.download import DataError, NoNetwork, sha256_of
from utils.pretrained import imagenet_network, load_weights


def small(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, classes))


def test_the_installed_network_knows_a_bee():
    """The normalization and the padding are those of the weights: else the answer to plain pictures changes."""
    network = imagenet_network("efficientnet_lite0")
    assert not network.model.training and network.classes[309:311] == ("bee", "ant")
    assert isinstance(getattr(network.model, network.head), nn.Linear)
    folder = data.data_folder() / "hymenoptera_data"
    if not folder.exists():
        pytest.skip(f"no hymenoptera_data in {data.data_folder()} (LABS_DATA)")
    from torchvision.transforms import v2

    from utils.pictures import picture_folder

    prepare = v2.Compose([v2.Resize(256), v2.CenterCrop(network.size), v2.PILToTensor()])
    pictures = picture_folder(folder / "val", transform=prepare)
    some = list(range(0, 60, 3)) + list(range(80, 140, 3))
    x = data.normalize(torch.stack([pictures[i][0] for i in some]), network.mean, network.std)
    with torch.inference_mode():
        top = network.model(x).argmax(dim=1)
    wanted = torch.tensor([{0: 310, 1: 309}[pictures.targets[i]] for i in some])
    assert (top == wanted).float().mean() > 0.75


def test_each_call_builds_the_network_anew():
    first, second = (imagenet_network("efficientnet_lite0").model for _ in range(2))
    assert first is not second and torch.equal(first.conv_stem.weight, second.conv_stem.weight)


def test_resnet18_where_it_can_be_had_else_the_installed_one(tmp_path, monkeypatch):
    file = tmp_path / pretrained.RESNET18_FILE
    torch.save(resnet18().state_dict(), file)
    monkeypatch.setattr(pretrained, "RESNET18_SHA256", sha256_of(file))
    monkeypatch.setenv("LABS_DATA", str(tmp_path))
    monkeypatch.setenv("LABS_OFFLINE", "0")
    network = imagenet_network()
    assert network.name == "resnet18" and network.model.fc.out_features == len(network.classes) == 1000
    assert [path.name for path in tmp_path.glob("*.pth")] == ["resnet18.pth"]
    monkeypatch.setenv("LABS_OFFLINE", "1")
    assert imagenet_network().name == "efficientnet_lite0"
    with pytest.raises(NoNetwork):
        imagenet_network("resnet18")
    with pytest.raises(ValueError, match="resnet18.*not 'resnet50'"):
        imagenet_network("resnet50")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_there_and_back(tmp_path, suffix):
    path, source = tmp_path / f"weights{suffix}", small()
    (save_file if suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    loaded = load_weights(small(), path).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in source.state_dict().items())


def test_files_that_are_no_weights_of_this_network(tmp_path):
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save(small(5).state_dict(), tmp_path / "head.pth")
    torch.save(resnet18().state_dict(), tmp_path / "other.pth")
    torch.save(small(), tmp_path / "pickled.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    whole = (tmp_path / "head.pth").read_bytes()
    for name in ("half.pth", "half.safetensors"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    (tmp_path / "empty.pth").touch()
    words = {
        "head.pth": r"3.weight is \(5, 16\) in the file and \(3, 16\) in the model",
        "other.pth": "another architecture: of the model's 9 tensors, 0 are in it",
        "pickled.pth": "was not opened",
        "list.pth": "holds a list",
        "none.pth": "There is no file",
        **dict.fromkeys(("half.pth", "half.safetensors", "page.pth", "empty.pth"), "damaged"),
    }
    for name, word in words.items():
        with pytest.raises(DataError, match=word):
            load_weights(model, tmp_path / name)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
