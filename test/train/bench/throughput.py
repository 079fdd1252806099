#!/usr/bin/env python3
"""Training steps of Lapidary beside PyTorch's, in turn: images/s, ratio, peak memory.

  throughput.py BUILD/test/train_bench ASSETS [--model resnet20 dscnn] [--rounds 15] [--steps 3]

Runs on the Python that has PyTorch (Debian's python3-torch: the same libtorch). Every round takes a
few steps of each program, one after the other, so that what else the machine does falls on all of
them alike; ratios are those of medians. Where it does much, OMP_WAIT_POLICY=passive and the CPU
time say more. PyTorch: eager, channels_last, the same
network, SGD with momentum and weight decay, cross-entropy.
"""
import argparse
import resource
import statistics
import subprocess
import sys
import time

FILES = {"resnet20": "resnet20_cifar10_fp32_bn.onnx", "dscnn": "fmnist_dscnn_fp32_bn.onnx"}


def resnet20(torch):
    nn, f = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, before, channels, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.more = (channels - before) // 2

        def forward(self, x):
            y = f.relu(self.bn1(self.conv1(x)), inplace=True)
            y = self.bn2(self.conv2(y))
            if self.more:
                x = f.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
            return f.relu(y.add_(x), inplace=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
            self.blocks = nn.Sequential(*(Block(*each) for each in sizes))
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            x = self.blocks(f.relu(self.bn1(self.conv1(x)), inplace=True))
            return self.fc(f.adaptive_avg_pool2d(x, 1).flatten(1))

    return Net(), (3, 32, 32)


def dscnn(torch):
    nn = torch.nn

    def norm(channels):
        return [nn.BatchNorm2d(channels), nn.ReLU6(inplace=True)]

    layers = [nn.Conv2d(1, 32, 3, 2, 1, bias=False), *norm(32)]
    for before, channels, stride in DSCNN:
        layers += [nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False), *norm(before),
                   nn.Conv2d(before, channels, 1, bias=False), *norm(channels)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(DSCNN[-1][1], 10)]
    return nn.Sequential(*layers), (1, 28, 28)


# channels before and after, stride
DSCNN = [(32, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]


def serve_torch(model, batch, threads):
    """The same conversation as train_bench's."""
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net, shape = {"resnet20": resnet20, "dscnn": dscnn}[model](torch)
    net = net.to(memory_format=torch.channels_last).train()
    decay = [p for p in net.parameters() if p.dim() > 1]
    rest = [p for p in net.parameters() if p.dim() <= 1]
    optimizer = torch.optim.SGD([{"params": decay, "weight_decay": 1e-4}, {"params": rest}], lr=1e-3, momentum=0.9)
    x = (2 * torch.rand(batch, *shape) - 1).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for line in sys.stdin:
        start, cpu = time.monotonic(), time.process_time()
        for _ in range(int(line)):
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(net(x), labels)
            loss.backward()
            optimizer.step()
        took, cpu = time.monotonic() - start, time.process_time() - cpu
        print(took, cpu, loss.item(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, before, flush=True)


class Worker:
    def __init__(self, name, command):
        self.name, self.wall, self.cpu, self.peak, self.before = name, [], [], 0, 0
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self, steps, count=True):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 5:
            sys.exit(f"{self.name} gave no answer")
        self.peak, self.before = int(answer[3]), int(answer[4])
        if count:
            self.wall.append(float(answer[0]) / steps)
            self.cpu.append(float(answer[1]) / steps)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(args, model):
    path = f"{args.assets}/models/{FILES[model]}"
    tail = [str(args.batch), str(args.threads)]
    workers = [Worker("PyTorch", [sys.executable, __file__, "--serve", model, *tail]),
               Worker("FP32", [args.program, path, "fp32", *tail]),
               Worker("QAT", [args.program, path, "qat", *tail])]
    for worker in workers:
        worker.step(2, count=False)
    for _ in range(args.rounds):
        for worker in workers:
            worker.step(args.steps)
    torch, fp32, _ = workers
    for worker in workers:
        ratios = []
        for other in (torch, fp32):
            for mine, its in ((worker.wall, other.wall), (worker.cpu, other.cpu)):
                ratios.append(statistics.median(mine) / statistics.median(its))
        seconds = statistics.median(worker.wall)
        print(f"{model:9} {worker.name:8} {1e3 * seconds:7.1f} ms {args.batch / seconds:7.0f} images/s  "
              f"time (CPU time) / PyTorch {ratios[0]:.2f} ({ratios[1]:.2f})  / FP32 {ratios[2]:.2f} ({ratios[3]:.2f})  "
              f"peak {worker.peak / 1e6:.0f} MB ({worker.before / 1e6:.0f} before the first step)", flush=True)
        worker.close()


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve_torch(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("assets")
    parser.add_argument("--model", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for model in args.model:
        measure(args, model)


if __name__ == "__main__":
    main()
