"""A training script as course projects on dog breeds have it, with smdebug's hook by hand."""

import argparse
import logging
import os
import sys

import smdebug.pytorch as smd
import torch
import torch.nn as nn
import torch.optim as optim
from small_pictures import loaders
from smdebug.profiler.utils import str2bool

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)
logger.addHandler(logging.StreamHandler(sys.stdout))


def test(model, test_loader, criterion, device, hook):
    model.eval()
    if hook:
        hook.set_mode(smd.modes.EVAL)
    running_loss = 0
    running_corrects = 0
    for inputs, labels in test_loader:
        inputs = inputs.to(device)
        labels = labels.to(device)
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        _, preds = torch.max(outputs, 1)
        running_loss += loss.item() * inputs.size(0)
        running_corrects += torch.sum(preds == labels.data).item()
    total_loss = running_loss / len(test_loader.dataset)
    logger.info("\nTest set: Average loss: {:.4f}\n".format(total_loss))


def train(model, train_loader, validation_loader, epochs, criterion, optimizer, device, hook):
    for epoch in range(epochs):
        if hook:
            hook.set_mode(smd.modes.TRAIN)
        model.train()
        for inputs, labels in train_loader:
            inputs = inputs.to(device)
            labels = labels.to(device)
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
        logger.info(f"Epoch {epoch}: loss {loss.item():.4f}")
        test(model, validation_loader, criterion, device, hook)
    return model


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 3)
    )


def main(args):
    device = torch.device("cuda" if args.gpu and torch.cuda.is_available() else "cpu")
    model = net().to(device)
    hook = smd.Hook.create_from_json_file()
    hook.register_hook(model)
    train_loader, test_loader = loaders(args.batch_size)
    loss_criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    model = train(
        model, train_loader, test_loader, args.epochs, loss_criterion, optimizer, device, hook
    )
    torch.save(model, os.path.join(args.model_dir, "model.pth"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--gpu", type=str2bool, default=True)
    parser.add_argument("--model_dir", type=str, default=os.environ["SM_MODEL_DIR"])
    args = parser.parse_args()
    main(args)
