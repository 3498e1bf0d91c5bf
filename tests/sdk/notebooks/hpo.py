"""A training script as course projects have it: torch, argparse, `SM_*`, metrics as sentences."""

import argparse
import logging
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torchvision import datasets, transforms

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))


def test(model, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(1) == target).sum().item()
    total = len(test_loader.dataset)
    logger.info(
        f"Test set: Average loss: {test_loss / total:.4f}, Accuracy: {correct}/{total} ({100.0 * correct / total:.0f}%)\n"
    )


def train(model, train_loader, epochs, criterion, optimizer):
    for epoch in range(1, epochs + 1):
        model.train()
        for batch_idx, (data, target) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = criterion(model(data), target)
            loss.backward()
            optimizer.step()
            print(
                f"Train Epoch: {epoch} [{batch_idx * len(data)}/{len(train_loader.dataset)}]\tLoss: {loss.item():.6f}"
            )
    return model


def net():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))


def create_data_loaders(data, batch_size):
    transform = transforms.Compose([transforms.Resize((16, 16)), transforms.ToTensor()])
    dataset = datasets.ImageFolder(data, transform)
    return torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True)


def main(args):
    torch.set_num_threads(1)
    loader = create_data_loaders(args.data_dir, args.batch_size)
    model = net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    model = train(model, loader, args.epochs, criterion, optimizer)
    test(model, loader)
    torch.save(model.state_dict(), os.path.join(args.model_dir, "model.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64, metavar="N")
    parser.add_argument("--epochs", type=int, default=2, metavar="N")
    parser.add_argument("--lr", type=float, default=0.001, metavar="LR")
    parser.add_argument("--data-dir", type=str, default=os.environ["SM_CHANNEL_TRAINING"])
    parser.add_argument("--model-dir", type=str, default=os.environ["SM_MODEL_DIR"])
    main(parser.parse_args())
